#!/bin/sh
# A server with one tool, for the scripts of this directory: it needs nothing but a shell and sed.

[ -n "${TICKETS_TOKEN-}" ] || exit 3
while IFS= read -r line; do
    id=$(printf '%s' "$line" | sed -n 's/.*"id":\("[^"]*"\|[0-9]*\).*/\1/p')
    [ -n "$id" ] || continue
    case $line in
    *'"initialize"'*)
        version=$(printf '%s' "$line" | sed -n 's/.*"protocolVersion":"\([^"]*\)".*/\1/p')
        result='{"protocolVersion":"'$version'","capabilities":{"tools":{}},"serverInfo":{"name":"tickets","version":"1"}}'
        ;;
    *'"tools/list"'*)
        result='{"tools":[{"name":"list","inputSchema":{"type":"object"}}]}'
        ;;
    *) result='{}' ;;
    esac
    printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$result"
done
