"""The provisioner: the one program with a cluster administrator's rights over topics, principals and access rules."""
