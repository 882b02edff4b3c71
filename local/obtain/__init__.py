"""Where each server program comes from, without installing anything on the system."""
