# shellcheck shell=bash
# The certificates of a cluster, and the kubeconfig files of its clients.

# make_pki FOLDER PORT
make_pki() {
    local pki=$1 port=$2 client
    # Nothing of what this machine's OpenSSL is set up to add: an authority's extension in a server's certificate, say.
    printf '[req]\ndistinguished_name = names\n[names]\n' >"$pki/openssl.cnf"
    certify "$pki" ca /CN=authority -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign

    issue "$pki" apiserver /CN=kube-apiserver serverAuth \
        IP:127.0.0.1,IP:192.0.2.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default.svc
    # The API server as a client of the node, for exec and logs.
    issue "$pki" apiserver-kubelet /O=system:masters/CN=kube-apiserver clientAuth
    issue "$pki" kubelet /O=system:nodes/CN=system:node:node serverAuth,clientAuth IP:192.0.2.1,DNS:node
    issue "$pki" admin /O=system:masters/CN=admin clientAuth
    issue "$pki" controller-manager /CN=system:kube-controller-manager clientAuth
    issue "$pki" scheduler /CN=system:kube-scheduler clientAuth
    openssl ecparam -name prime256v1 -genkey -noout -out "$pki/service-accounts.key"

    for client in admin kubelet controller-manager scheduler; do
        kubeconfig "$pki" "$client" "$port" >"$pki/$client.conf"
    done
    chmod 0600 "$pki"/*
}

# issue PKI NAME SUBJECT USAGE [ALTERNATIVE_NAMES]
issue() {
    certify "$1" "$2" "$3" -CA "$1/ca.crt" -CAkey "$1/ca.key" -addext basicConstraints=critical,CA:FALSE \
        -addext "extendedKeyUsage=$4" ${5:+-addext "subjectAltName=$5"}
}

# certify PKI NAME SUBJECT ARGUMENT...
certify() {
    local pki=$1 name=$2 subject=$3
    shift 3
    openssl req -config "$pki/openssl.cnf" -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
        -subj "$subject" -keyout "$pki/$name.key" -out "$pki/$name.crt" "$@" 2>/dev/null
}

# kubeconfig PKI CLIENT PORT: all in one file, so that it can be copied.
kubeconfig() {
    local pki=$1 client=$2 port=$3
    cat <<YAML
apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: $client}}]
clusters:
- name: test
  cluster:
    server: https://127.0.0.1:$port
    certificate-authority-data: $(base64 --wrap=0 "$pki/ca.crt")
users:
- name: $client
  user:
    client-certificate-data: $(base64 --wrap=0 "$pki/$client.crt")
    client-key-data: $(base64 --wrap=0 "$pki/$client.key")
YAML
}
