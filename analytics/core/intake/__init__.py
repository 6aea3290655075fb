"""What is sent or imported: items and files, read and checked before anything is stored."""
