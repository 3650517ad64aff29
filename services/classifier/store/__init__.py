"""The SQL of the classifier, and nowhere else."""
