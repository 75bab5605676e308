"""What `status_realtime` and the page show. Every query uses an index; none reads a whole table."""
