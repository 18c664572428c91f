//! Whole clusters: controllers, scheduler, restarts.
