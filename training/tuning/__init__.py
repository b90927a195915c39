"""What fine-tuning is made of: losses, students, the loop's checkpoints, devices and the held-out curve."""
