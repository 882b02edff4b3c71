"""What a job is, which jobs there are, and what a job means on every engine that has it."""
