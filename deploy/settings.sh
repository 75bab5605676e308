# To be sourced: exports the settings of /etc/openstates-realtime.env, and of
# /etc/openstates-realtime-page.env where that is there, as far as this user may read them. They are
# read as systemd and docker read them: everything after NAME= is the value, and no character in it is
# special. So a URL may contain & or $.
SETTINGS=${SETTINGS:-/etc/openstates-realtime.env}
for file in "$SETTINGS" "${SETTINGS%.env}-page.env"; do
    [ -r "$file" ] || continue
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        [A-Z]*=*) export "$line" ;;
        esac
    done <"$file"
done
