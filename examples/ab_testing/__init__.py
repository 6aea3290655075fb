"""The CRM guide's package name: put this folder's parent on the path, or copy it, and the guide's
imports run as printed.
"""
