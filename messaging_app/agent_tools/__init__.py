"""What agents keep for their work: canned replies, labels, mentions, drafts."""
