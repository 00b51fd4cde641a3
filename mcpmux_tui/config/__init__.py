"""What the user wrote: schema, file, placeholders, reload plan, edits."""
