# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_vault_token_plugin_global_optspecs
    string join \n address= namespace= ca-cert= ca-path= client-cert= client-key= tls-server-name= tls-skip-verify timeout= output= q/quiet n/kube-namespace= kubeconfig= context= statefulset= selector= container= tool-image= h/help V/version
end

function __fish_vault_token_plugin_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_vault_token_plugin_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_vault_token_plugin_using_subcommand
    set -l cmd (__fish_vault_token_plugin_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -s V -l version -d 'Print version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "serve" -d 'Be the plugin; Vault and OpenBao start this, people do not'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "dev" -d 'Run a plugin in a development host, registered, mounted and tried; needs no server'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "inspect" -d 'Show what a plugin is and offers, or what differs between two; needs no server'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "manifests" -d 'Print what a cluster needs: init container, Helm values, access, alerts, an application'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "package" -d 'Make a container image of plugins, and the checksums that registration needs; needs no container engine'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "loader" -d 'Copy the plugins that an image carries into the plugin directory; such images start this'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "register" -d 'Place a plugin, register it, mount it, configure it and try it; does only what is missing'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "upgrade" -d 'Move every mount of a plugin to another version; what fails is undone by itself'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "rollback" -d 'Move every mount of a plugin back to the version before'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "deregister" -d 'Remove versions that nothing needs'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "gc" -d 'Remove every version that nothing can need any more'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "reload" -d 'Reload a plugin on its mounts, and prove what runs'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "status" -d 'Show what is on disk, in the catalog, configured and running'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "doctor" -d 'Say what is wrong, what it breaks and what cures it; judges a server, a binary or an error'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "creds" -d 'Get, renew and revoke credentials, or keep one for a command or in a file'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "node" -d 'Work on a node, for this program itself'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "parent-death" -d 'Become a command that ends with the process that started this, for this program itself'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "version" -d 'Print the version and what the plugin speaks'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l plugin -d 'The plugin\'s binary, in any language [default: this program, with a sample token service to work against]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l name -d 'Name in the catalog [default: that of the file]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l arg -d 'Argument of the plugin; can be given more than once' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l env -d 'Environment of the plugin; the value can be @FILE or - (standard input)' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l mount -d 'Where to mount it [default: custom for this program, or the name of the plugin]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l write -d 'Data of a path of the mount; the value can be @FILE or - (standard input)' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l read -d 'Path of the mount to read as proof; a lease is revoked again' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l listen -d 'Where to listen [default: 127.0.0.1:8200, and any free port when a command is run]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l data -d 'Keep what is stored in this directory; without it everything is forgotten' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l server -d 'The server: embedded, or a real one in its development mode: vault, bao or the path of its binary' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l watch -d 'Reload when the binary changes, and say what differs'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l arg -d 'Argument of the plugin; can be given more than once' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l env -d 'Environment of the plugin; the value can be @FILE or - (standard input)' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l option -d 'Option of the mount, by which some engines choose their paths, such as version=2' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l name -d 'Name of the plugin in the catalog [default: custom-plugin]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l prefix -d 'First part of the names of what is made [default: the name of the plugin]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l image -d 'Image with the plugin, as `package` made it' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l product -d 'The servers' -r -f -a "vault\t'HashiCorp\'s'
openbao\t'The Linux Foundation\'s'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l pod-labels -d 'Labels of the servers\' pods [default: those of the official chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l server-image -d 'Image of the servers, for the part `server` [default: hashicorp/vault:1.21.4, openbao/openbao:2.6.2]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l plugin-dir -d 'Plugin directory of the servers' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l mount -d 'Where the plugin is mounted; can be given more than once [default: custom]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l service-account -d 'Account of the cluster that registers and upgrades [default: PREFIX-operator]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l server-address -d 'Address of the servers, as pods reach it [default: https://STATEFULSET.NAMESPACE.svc:8200]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l ca-secret -d 'Secret with the key ca.crt, the authority of the servers\' certificate, in the application\'s namespace' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l monitoring-namespace -d 'Namespace of Prometheus' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l metrics-prefix -d 'What the plugin\'s metrics are called: the metrics_prefix of its config' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l app -d 'Name of the application that gets credentials' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l app-namespace -d 'Its namespace' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l app-image -d 'Its image [default: busybox:1.37]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l app-user -d 'Number of the user that it runs as [default: the image\'s own; 65532 in the default image]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l creds -d 'The credential it needs [default: MOUNT/creds/developer]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l auth-mount -d 'Where the servers have their login for accounts of the cluster' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -s f -l file -d 'The description of the plugin that `register` takes; flags come before it' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l kustomize -d 'Write them into a directory for kustomize instead' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l base -d 'Resource that the kustomization builds on, such as ../vault; can be given more than once' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l force -d 'Replace files of that directory that were made or changed by somebody else'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l diff -d 'Show what they would change in the cluster; exit code 3 when that is something'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l build -d 'Build the Rust package in DIR [default: .] as a static release, and take its binary' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l bin -d 'Which binary of the package, if it has several' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l name -d 'Name of the plugin [default: that of the file, without its version]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l arg -d 'Argument of the plugins when they are started to be looked at' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l env -d 'Environment of the plugins when they are started to be looked at; the value can be @FILE or - (standard input)' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l platform -d 'Platform to make an image for [default: those of the binaries that can be started here]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l loader -d 'Static build of this program, which loads the plugins in the image; one for each platform [default: this program]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l layout -d 'Write the image as an OCI layout' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l archive -d 'Write the image as one file, for docker load or ctr images import' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l push -d 'Push the image to a registry, such as registry.example.com/team/custom-plugin:1.2.3' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l tag -d 'Tag of the image [default: the highest version in it]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l label -d 'Label of the image' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l user -d 'Whom the image runs as; this is Vault\'s own user in its images' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l sums -d 'Where to write the checksums of the binaries' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l registry-ca -d 'PEM file of the authority that signed the registry\'s certificate, beside those in /etc/docker/certs.d' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l plain-http -d 'Speak to the registry without TLS, as is done anyway where it is on this machine'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l dry-run -d 'Check everything and show what would be made; nothing is written or pushed'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l from -d 'Directory of the versions and their SHA256SUMS' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l to -d 'The server\'s plugin directory' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l owner -d 'Whose the files shall be [default: whoever runs this]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l replace -d 'Replace a file of the same name that is another build, too'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l watch -d 'Stay, and put back what is removed or changed'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l itself -d 'Put only this program itself there, for an application that runs `creds exec`'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l name -d 'Name in the catalog' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l type -d 'Type of the plugin: secret, auth or database [default: secret]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l version -d 'Version [default: what the binary reports]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l binary -d 'The plugin\'s binary [default: this program]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l args -d 'Argument of the plugin; can be given more than once' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l env -d 'Environment of the plugin; the value can be @FILE or - (standard input)' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l mount -d 'Where to mount it' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l plugin-dir -d 'Plugin directory of the server on this machine [default: what the server says]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l config -d 'Data of `config`; the value can be @FILE or - (standard input)' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l role -d 'Data of `roles/NAME`' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l write -d 'Data of any other path of the mount' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l smoke -d 'Path of the mount to try at the end, such as creds/developer; a lease is revoked again' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -s f -l file -d 'All of the above in a file; flags come before it' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l image -d 'Image of the init container, which brings this version' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l placed-on -d 'Node outside of Kubernetes that has the binary too: host name, HOST:PORT or raft id; can be given more than once' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l allow-downgrade -d 'Move mounts to an older version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l allow-ephemeral -d 'Register though a node that is started anew loses the version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l this-node-only -d 'Leave the server\'s other nodes without the binary, though a failover then breaks the plugin\'s mounts'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l rewrite -d 'Write again what cannot be read back'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l allow-sealed-restart -d 'Restart OpenBao standbys that somebody has to unseal afterwards'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l allow-quorum-loss -d 'Restart a voter of raft though the others are no majority until it is back'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -s y -l yes -d 'Do not ask'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l dry-run -d 'Only show what would be done; exit code 3 when that is something'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l name -d 'Name in the catalog [default: the file\'s, else the one plugin that is mounted]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l version -d 'Version [default: what the binary reports]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l args -d 'Argument of the plugin; can be given more than once [default: those of the running version]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l env -d 'Environment of the plugin, which no server shows; the value can be @FILE or - (standard input)' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l mount -d 'Only this mount; can be given more than once [default: every mount of the plugin]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l plugin-dir -d 'Plugin directory of the server on this machine [default: what the server says]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l config -d 'Data of the trial mount\'s `config`; the value can be @FILE or - (standard input)' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l role -d 'Data of the trial mount\'s `roles/NAME`' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l write -d 'Data of any other path of the trial mount' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l smoke -d 'Path to try on every mount that is moved, and on a trial mount that has data; a lease is revoked again' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -s f -l file -d 'Plugin, data and trials in a file, as `register` takes it; flags come before it' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l canary-config -d 'Which configuration the trial mount gets [default: trial where there is data of it, else live]' -r -f -a "live\t'That of the first mount of the file that has one. Not for an engine that changes its own credential when it is configured: it would take that of the live mount away'
trial\t'What --config, --role and --write say'
none\t'None: the version is started there, and not tried'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l image -d 'Image of the init container that brings this version and those before' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l placed-on -d 'Node outside of Kubernetes that has the binary too: host name, HOST:PORT or raft id; can be given more than once' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l no-canary -d 'Do not try the version on a mount of its own first'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l allow-downgrade -d 'Move mounts to an older version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l allow-breaking -d 'Upgrade though paths or fields are gone that clients may use'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l allow-ephemeral -d 'Upgrade though a node that is started anew loses the version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l this-node-only -d 'Leave the server\'s other nodes without the binary, though a failover then breaks the plugin\'s mounts'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l rehearse-failover -d 'At the end make every node the active one, and prove it'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l allow-sealed-restart -d 'Restart OpenBao standbys that somebody has to unseal afterwards'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l allow-quorum-loss -d 'Restart a voter of raft though the others are no majority until it is back'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -s y -l yes -d 'Do not ask'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l dry-run -d 'Only show what would be done; exit code 3 when that is something'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l to -d 'Version to go to [default: the newest before the running one that is in place on every node]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l mount -d 'Only this mount; can be given more than once [default: every mount of the plugin]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l smoke -d 'Path to try on every mount afterwards, such as creds/developer; a lease is revoked again' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l plugin-dir -d 'Plugin directory of the server on this machine [default: what the server says]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l image -d 'Image of the init container that brings this version' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l placed-on -d 'Node outside of Kubernetes that has the binary too: host name, HOST:PORT or raft id; can be given more than once' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l allow-ephemeral -d 'Go back though a node that is started anew loses the version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l allow-sealed-restart -d 'Restart OpenBao standbys that somebody has to unseal afterwards'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l allow-quorum-loss -d 'Restart a voter of raft though the others are no majority until it is back'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l this-node-only -d 'Leave the server\'s other nodes without the binary, though a failover then breaks the plugin\'s mounts'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -s y -l yes -d 'Do not ask'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l dry-run -d 'Only show what would be done; exit code 3 when that is something'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l version -d 'This version; can be given more than once' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l type -d 'Type of the plugin' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l plugin-dir -d 'Plugin directory of the server on this machine [default: what the server says]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l all -d 'Every version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -s y -l yes -d 'Do not ask'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l dry-run -d 'Only show what would be done; exit code 3 when that is something'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l plugin -d 'Only this plugin' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l keep -d 'How many versions before the newest in use are kept, to roll back to' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l plugin-dir -d 'Plugin directory of the server on this machine [default: what the server says]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -s y -l yes -d 'Do not ask'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l dry-run -d 'Only show what would be done; exit code 3 when that is something'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l mount -d 'Mount; can be given more than once' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l plugin -d 'Plugin: all its mounts' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l type -d 'Type of the plugin' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l allow-sealed-restart -d 'Restart OpenBao standbys that somebody has to unseal afterwards'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l allow-quorum-loss -d 'Restart a voter of raft though the others are no majority until it is back'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -s y -l yes -d 'Do not ask'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l dry-run -d 'Only show what would be done; exit code 3 when that is something'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l plugin-dir -d 'Plugin directory of the server on this machine; else what the server says, where that is readable' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l plugin -d 'Only this plugin' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -s w -l watch -d 'Look again every two seconds until an interrupt'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l arg -d 'Argument of the plugin; can be given more than once' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l env -d 'Environment of the plugin; the value can be @FILE or - (standard input)' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l explain -d 'Say what an error or a log means, or print the page of a finding: the text, its id, or - (standard input)' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l plugin-dir -d 'Plugin directory of the server on this machine [default: what the server says]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l placed-on -d 'Node outside of Kubernetes that has the registered binaries too; can be given more than once' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l fail-on -d 'Exit with 3 for a finding as bad as this, or worse' -r -f -a "breaks-now\t'Requests fail at this moment'
breaks-at-restart\t'It breaks when something is started anew'
risk\t'It breaks when something else goes wrong too'
note\t'Anything'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l format -d 'Write a document for a build server in place of --output' -r -f -a "junit\t'Test results'
sarif\t'Results of an analysis, SARIF 2.1.0'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l logs -d 'Read the logs of the servers\' pods too, for lines that say something known'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l fix -d 'Cure what can be cured without risk, then look again'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -s y -l yes -d 'With --fix: do not ask'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -f -a "get" -d 'Get a credential; takes the full path, as `vault read` does'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -f -a "renew" -d 'Renew a lease'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -f -a "revoke" -d 'Revoke a lease, and wait until that is done'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -f -a "exec" -d 'Run a command with a credential that is kept alive as long as it runs, and revoked when it ends'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -f -a "watch" -d 'Keep a credential in a file fresh, until an interrupt'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l field -d 'Print only this field, bare' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l increment -d 'Time that is wished for, from now; the server decides' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l env -d 'Put this field into this variable; may be repeated [default: every field, as its name in capital letters, unless there is a --file]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l file -d 'Write this field, or json for all, into this file with mode 0600, and take the file away at the end; may be repeated' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l on-change -d 'What the command is told when there is another credential: restart, none, or a signal such as HUP' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l grace -d 'Time that the command has to end when it is asked to, before it is killed' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l auth -d 'With the token of VAULT_TOKEN or ~/.vault-token, or by Vault\'s Kubernetes auth method' -r -f -a "token\t''
kubernetes\t''"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l auth-role -d 'Role of the auth method' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l auth-mount -d 'Where the auth method is mounted' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l auth-token-path -d 'The service account\'s token; it is read at each login' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l keep-vault-token -d 'Leave VAULT_TOKEN and BAO_TOKEN in the command\'s environment'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l file -d 'Write this field, or json for all, into this file with mode 0600, and take the file away at the end; may be repeated' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l auth -d 'With the token of VAULT_TOKEN or ~/.vault-token, or by Vault\'s Kubernetes auth method' -r -f -a "token\t''
kubernetes\t''"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l auth-role -d 'Role of the auth method' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l auth-mount -d 'Where the auth method is mounted' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l auth-token-path -d 'The service account\'s token; it is read at each login' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from help" -f -a "get" -d 'Get a credential; takes the full path, as `vault read` does'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from help" -f -a "renew" -d 'Renew a lease'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from help" -f -a "revoke" -d 'Revoke a lease, and wait until that is done'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from help" -f -a "exec" -d 'Run a command with a credential that is kept alive as long as it runs, and revoked when it ends'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from help" -f -a "watch" -d 'Keep a credential in a file fresh, until an interrupt'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -f -a "facts" -d 'Say what the node is'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -f -a "place" -d 'Put what comes on standard input into the plugin directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -f -a "mode" -d 'Give a file or a directory a mode'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -f -a "remove" -d 'Take a file out of the plugin directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -f -a "wait" -d 'Be there for the others'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts place mode remove wait help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from place" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "facts" -d 'Say what the node is'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "place" -d 'Put what comes on standard input into the plugin directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "mode" -d 'Give a file or a directory a mode'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Take a file out of the plugin directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "wait" -d 'Be there for the others'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l parent -d 'Process that started this' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l on-exit -d 'What happens to the command when that ends' -r -f -a "terminate\t'It is told to end, because it has processes of its own to end'
kill\t'It is killed'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l address -d 'Address of the server [env: BAO_ADDR, VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l namespace -d 'Namespace [env: BAO_NAMESPACE, VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l ca-cert -d 'PEM file of the authority that signed the server\'s certificate [env: BAO_CACERT, VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l ca-path -d 'Directory of such files [env: BAO_CAPATH, VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l client-cert -d 'PEM file of the client\'s certificate [env: BAO_CLIENT_CERT, VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l client-key -d 'PEM file of the client\'s key [env: BAO_CLIENT_KEY, VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: BAO_TLS_SERVER_NAME, VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l timeout -d 'Time that one request may take' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l output -d 'Format of what is printed on standard output' -r -f -a "human\t'For people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -s n -l kube-namespace -d 'Namespace of the pods [default: that of the context]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l kubeconfig -d 'Path of a kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l statefulset -d 'StatefulSet of the server [default: the one with the labels of Vault\'s or OpenBao\'s chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l selector -d 'Labels of its pods, in place of its name' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l tool-image -d 'Image with this program in it, for pods without a shell [default: that of the init container that is this program]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l tls-skip-verify -d 'Accept any certificate [env: BAO_SKIP_VERIFY, VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -s q -l quiet -d 'Say only what went wrong'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "serve" -d 'Be the plugin; Vault and OpenBao start this, people do not'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "dev" -d 'Run a plugin in a development host, registered, mounted and tried; needs no server'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "inspect" -d 'Show what a plugin is and offers, or what differs between two; needs no server'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "manifests" -d 'Print what a cluster needs: init container, Helm values, access, alerts, an application'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "package" -d 'Make a container image of plugins, and the checksums that registration needs; needs no container engine'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "loader" -d 'Copy the plugins that an image carries into the plugin directory; such images start this'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "register" -d 'Place a plugin, register it, mount it, configure it and try it; does only what is missing'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "upgrade" -d 'Move every mount of a plugin to another version; what fails is undone by itself'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "rollback" -d 'Move every mount of a plugin back to the version before'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "deregister" -d 'Remove versions that nothing needs'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "gc" -d 'Remove every version that nothing can need any more'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "reload" -d 'Reload a plugin on its mounts, and prove what runs'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "status" -d 'Show what is on disk, in the catalog, configured and running'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "doctor" -d 'Say what is wrong, what it breaks and what cures it; judges a server, a binary or an error'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "creds" -d 'Get, renew and revoke credentials, or keep one for a command or in a file'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "node" -d 'Work on a node, for this program itself'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "parent-death" -d 'Become a command that ends with the process that started this, for this program itself'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "completions" -d 'Print the completion script of a shell'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "version" -d 'Print the version and what the plugin speaks'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds node parent-death completions version help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from creds" -f -a "get" -d 'Get a credential; takes the full path, as `vault read` does'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from creds" -f -a "renew" -d 'Renew a lease'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from creds" -f -a "revoke" -d 'Revoke a lease, and wait until that is done'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from creds" -f -a "exec" -d 'Run a command with a credential that is kept alive as long as it runs, and revoked when it ends'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from creds" -f -a "watch" -d 'Keep a credential in a file fresh, until an interrupt'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "facts" -d 'Say what the node is'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "place" -d 'Put what comes on standard input into the plugin directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "mode" -d 'Give a file or a directory a mode'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "remove" -d 'Take a file out of the plugin directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "wait" -d 'Be there for the others'
