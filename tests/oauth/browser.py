"""A browser: opens an address, follows redirects, keeps cookies, and writes the page to a file.

    python browser.py PAGE ADDRESS
"""

import http.cookiejar
import sys
import urllib.error
import urllib.request

page, address = sys.argv[1:]
cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
opener = urllib.request.build_opener(cookies, urllib.request.ProxyHandler({}))
try:
    body = opener.open(address, timeout=30).read()
except urllib.error.HTTPError as error:
    body = error.read()
with open(page, "wb") as file:
    file.write(body)
