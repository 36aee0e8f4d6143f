"""Videos become vectors: extraction, the table they are kept in, and runs over many videos."""
