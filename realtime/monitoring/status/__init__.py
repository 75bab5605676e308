"""What an operator needs to see. Every query reads by an index, never a whole table."""
