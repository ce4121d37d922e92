"""What holds a history against its own author: who attested its steps, and who signed them."""
