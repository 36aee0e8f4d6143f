"""What video networks were compared with and is not a network of ours."""
