#!/bin/sh
# What `upgrade` is measured against: a shell script that does the same job right, with kubectl and Vault's own CLI in the
# pods. Usage: rollout.sh NAMESPACE NAME VERSION FILE MOUNT...   Needs KUBECONFIG and VAULT_TOKEN;
# KUBECTL is the path of kubectl.

set -eu

namespace=$1 name=$2 version=$3 file=$4
shift 4
directory=/vault/plugins
target=$name-$version
sum=$(sha256sum "$file" | cut -d ' ' -f 1)

k() { "${KUBECTL:-kubectl}" --namespace "$namespace" "$@"; }
vault() {
    printf '%s' "$VAULT_TOKEN" | k exec -i "$active" --container vault -- \
        sh -c 'VAULT_TOKEN=$(cat) exec vault "$@"' sh "$@"
}

pods=$(k get pods --selector app.kubernetes.io/name=vault --output 'jsonpath={.items[*].metadata.name}')
for pod in $pods; do
    k cp --container vault "$file" "$pod:$directory/.$target"
    there=$(k exec "$pod" --container vault -- sha256sum "$directory/.$target" | cut -d ' ' -f 1)
    [ "$there" = "$sum" ] || { echo "$pod has another file" >&2; exit 1; }
    k exec "$pod" --container vault -- sh -c "chmod 755 $directory/.$target && mv $directory/.$target $directory/$target"
done

active=
for pod in $pods; do
    if k exec "$pod" --container vault -- wget -q -O /dev/null http://127.0.0.1:8200/v1/sys/health; then
        active=$pod
    fi
done 2>/dev/null
[ -n "$active" ] || { echo 'no pod is active' >&2; exit 1; }

vault plugin register -sha256 "$sum" -command "$target" -version "v$version" secret "$name"
for mount in "$@"; do
    vault secrets tune -plugin-version "v$version" "$mount/"
done
mounts=$(printf '%s/,' "$@")
vault write sys/plugins/reload/backend "mounts=${mounts%,}"
for mount in "$@"; do
    running=$(vault read -field running_plugin_version "sys/mounts/$mount")
    [ "$running" = "v$version" ] || { echo "$mount runs $running" >&2; exit 1; }
done
