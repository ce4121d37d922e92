"""What a lab needs after a month: what lies on disk and may go, what is kept elsewhere, and what is not as it should be."""
