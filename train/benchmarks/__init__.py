"""What only measures the trainer: its speed, its losses, whole runs beside nanoGPT's."""
