//! Status conditions: set, roll up, keep transition times.
