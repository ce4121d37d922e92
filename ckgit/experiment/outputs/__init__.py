"""What commands write for programs: events, and what they would do."""
