"""The replicas of a service: which there are, what is known of each, which is asked next."""
