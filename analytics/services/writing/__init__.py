"""What leaves in writing: reports, exports, seals over the audit."""
