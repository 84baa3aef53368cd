//! Which revisions of a task definition count as recent, and so are roots of their own.
