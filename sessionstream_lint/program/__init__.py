"""What a file defines, in order: scopes, bindings, branches, calls; and where its imports lead."""
