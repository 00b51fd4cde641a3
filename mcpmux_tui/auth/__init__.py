"""Signing in: the flow a person starts, and tokens that look after themselves (OAuth 2.1).

grant       what is kept of one sign-in, as one vault item
kept        the grant in memory, beside what the keyring holds of it
record      that item and the lock around it, across tasks, threads and processes
tokens      the manager of one server's tokens: refresh, refusals, what the row shows
lifetime    how long a token is good, by two clocks; turns: not all servers ask at once
exchange    requests to a token, device or revocation endpoint, and their answers
attach      puts the token on requests to that server
challenge   reads `WWW-Authenticate`
revoke      logging out, and forgetting a server
"""
