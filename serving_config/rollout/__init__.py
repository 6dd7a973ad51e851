"""`versions`, `canary`, `promote`, `rollback`."""
