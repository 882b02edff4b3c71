-- Only what the plain table grants is granted: what default privileges added, or the owner gave up, is taken away.
revoke all on {object} from {role}
