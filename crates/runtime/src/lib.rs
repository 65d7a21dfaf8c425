//! The loop that every operator runs: observe, plan, apply, prune, status.
