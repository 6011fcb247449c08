#!/bin/sh
# A task image for Lagoon: it takes its arguments from JSON_PAYLOAD, hands back what it found in an annotation of its own
# pod, and says by its exit code whether all is well.
set -eu

api=${KUBERNETES_API:-https://kubernetes.default.svc}
account=${SERVICE_ACCOUNT:-/var/run/secrets/kubernetes.io/serviceaccount}

payload=$(printf %s "$JSON_PAYLOAD" | base64 -d)
limit=$(printf %s "$payload" | jq -r '.LIMIT // "10"')
found=$(printf %s "$payload" | jq -r '.FOUND // "0"')

echo "task $TASK_DATA_ID of $LAGOON_PROJECT: $found findings, $limit are allowed"

data=$(jq -cn --argjson found "$found" --arg pod "$PODNAME" '{scan: {found: $found, pod: $pod}}' | base64 | tr -d '\n')
curl -sSf -o /dev/null -X PATCH \
  -H "Authorization: Bearer $(cat "$account/token")" \
  -H 'Content-Type: application/merge-patch+json' \
  --data "{\"metadata\":{\"annotations\":{\"lagoon.sh/taskData\":\"$data\"}}}" \
  "$api/api/v1/namespaces/$NAMESPACE/pods/$PODNAME"

if [ "$found" -gt "$limit" ]; then
  echo "too many findings" >&2
  exit 3
fi
