"""What a learner works with: the lab, its installation, and what it shows."""
