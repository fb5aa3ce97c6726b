"""A stand-in for Microsoft Entra ID v2.0, a managed identity endpoint and Microsoft Graph `/me`, on loopback only.

Start it with `python -m local.entra --help`. It has two listeners: https for everything, and plain http for the pages a
browser opens, so that no browser warns of the local certificate. Signing in needs no password.

Sign-in form
    GET  /{tenant}/oauth2/v2.0/authorize?...   the account picker, or an error page (400) that never redirects
    POST to the form's `action` (the same path and query), form-encoded, with one of
         account=<key>      signs that account in: 302 to the redirect URI with code, state and session_state
         action=cancel      302 with error=access_denied (AADSTS65004)
         account=<key>&action=return    leaves an error page: 302 with that error
    With response_mode=form_post the answer is a page whose form posts to the redirect URI.

Accounts, groups and other APIs come from the directory file (local/directory.py). {tenant} is the GUID,
`organizations`, `consumers` or `common`.

Other APIs (local/entra/apis.py): /apis/{api} shows the claims of a good token, /apis/{api}/{collection} serves a list.

Control API, for tests and demonstrations: https only, JSON bodies, refused to browsers
    GET    /_local/accounts                    the accounts
    POST   /_local/accounts/{key}/revoke       the account's refresh tokens answer AADSTS50173 from now on
    POST   /_local/faults                      the next token requests fail: {"code": 50076, "times": 1,
                                               "grant_type": "refresh_token", "status": 503, "error": "...",
                                               "retry_after": 2}; all members are optional but `code`
    DELETE /_local/faults                      forget the faults that did not happen yet
    POST   /_local/{api}/faults                the next requests to `graph` or an API of the file fail: {"status": 429,
                                               "retry_after": 5, "times": 1}; Graph also takes {"challenge": true}
    DELETE /_local/{api}/faults                forget them
    POST   /_local/keys/rotate                 sign with a new key; tokens of older keys stay valid
    GET    /_local/secrets                     the client secrets: id, hint, expires
    POST   /_local/secrets                     add one: {"value": "...", "expires_in": 3600}, both optional
    DELETE /_local/secrets/{id}                remove one; also the one of the secret file, and for good
    POST   /_local/tokens                      sign any claims: {"account": "user", "claims": {"exp": 1, "scp": null},
                                               "headers": {}}; null removes a claim of the account's access token
    POST   /_local/assertions                  sign an identity assertion (ID-JAG), which Entra ID does not:
                                               {"account": "user", "client_id": "...", "audience": "<MCP_BASE_URL>/",
                                               "resource": "<MCP_BASE_URL>/mcp", "scope": "..."}; `claims` and
                                               `headers` as above
"""
