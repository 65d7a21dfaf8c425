//! Steps of a longer task, each with its seconds.
