#!/bin/sh
# Fedora and openSUSE: `rpm.sh PACKAGE.rpm ROOT`. It needs rpm. ROOT is an empty directory, in place of `/`.

CHANNELS=$(cd "$(dirname "$0")" && pwd)
. "$CHANNELS/story.sh"

package=$1
root=$2
set -- --root "$root" --dbpath /var/lib/rpm
shown rpm "$@" -i --nosignature "$package"
MCPWRAP=$root/usr/bin/mcpwrap
story
shown rpm "$@" -e mcpwrap
