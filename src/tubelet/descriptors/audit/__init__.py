"""Whether a descriptor table is what it says it is, and in what two tables differ."""
