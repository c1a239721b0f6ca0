#!/usr/bin/env bash
# Builds the image for SageMaker and pushes it to Amazon ECR, whose repository it creates if need
# be. stdout is the image's URI; everything else is told on stderr.
set -euo pipefail
cd "$(dirname "$0")"

repository=${ECR_REPOSITORY:-modernbert-dispute-classifier}
region=${AWS_REGION:-}
torch_index_url=${TORCH_INDEX_URL:-}
dry_run=false

usage() {
  cat >&2 <<'USAGE'
Usage: build_and_push.sh [--repository NAME] [--region REGION] --torch-index-url URL [--dry-run]

  --repository NAME      ECR repository     [ECR_REPOSITORY, modernbert-dispute-classifier]
  --region REGION        its region         [AWS_REGION, then the AWS CLI's own]
  --torch-index-url URL  torch's CUDA 12 wheels for GPU instances (driver 535 refuses CUDA 13),
                         its CPU wheels for CPU instances                     [TORCH_INDEX_URL]
  --dry-run              print the commands that change something instead of running them
USAGE
}

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "Cannot build and push the image: $*"
  exit 1
}

while (($#)); do
  case $1 in
    --repository | --region | --torch-index-url)
      (($# > 1)) || { usage; exit 2; }
      option=${1#--}
      printf -v "${option//-/_}" '%s' "$2"
      shift 2
      ;;
    --dry-run) dry_run=true; shift ;;
    --help) usage; exit 0 ;;
    *) say "Unknown option: $1"; usage; exit 2 ;;
  esac
done

run() {
  if "$dry_run"; then
    printf '%q ' "$@" >&2
    say
  else
    say "$1 ${2:-} ${3:-} …"
    # What a command prints is story; only the URI is the answer.
    "$@" >&2
  fi
}

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

# The tag names the content: the same files and the same torch give the same tag.
content_tag() {
  {
    printf '%s\n' "$torch_index_url"
    find Dockerfile requirements.txt app.py gunicorn.conf.py src -type f ! -name '*.pyc' |
      LC_ALL=C sort | while IFS= read -r file; do printf '%s\n' "$file"; cat "$file"; done
  } | sha256 | cut -c 1-12
}

log_in() {
  aws ecr get-login-password --region "$region" |
    docker login --username AWS --password-stdin "$registry"
}

repository_exists() {
  local answer
  if answer=$(aws ecr describe-repositories --region "$region" \
    --repository-names "$repository" 2>&1); then
    return 0
  fi
  [[ $answer == *RepositoryNotFoundException* ]] || fail "ECR refused: $answer"
  return 1
}

# Images without a tag are what a new `latest` leaves behind.
lifecycle_policy='{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "untagged",'\
' "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14},'\
' "action": {"type": "expire"}}]}'

[[ -n $torch_index_url ]] || fail "no --torch-index-url says whether torch is for CUDA 12 or CPU."
for tool in docker aws; do
  command -v "$tool" >/dev/null || fail "there is no '$tool' command. Install it first."
done
docker info >/dev/null 2>&1 || fail "docker does not answer. Start it, or ask for access to it."
region=${region:-$(aws configure get region || true)}
[[ -n $region ]] || fail "no region. Set AWS_REGION or pass --region."
account=$(aws sts get-caller-identity --query Account --output text) ||
  fail "AWS does not know these credentials. Check them with 'aws sts get-caller-identity'."

domain=amazonaws.com
[[ $region != cn-* ]] || domain=amazonaws.com.cn
registry=$account.dkr.ecr.$region.$domain
image=$registry/$repository
tag=$(content_tag)

if ! repository_exists; then
  run aws ecr create-repository --region "$region" --repository-name "$repository" \
    --image-scanning-configuration scanOnPush=true || fail "the repository was not created."
  run aws ecr put-lifecycle-policy --region "$region" --repository-name "$repository" \
    --lifecycle-policy-text "$lifecycle_policy" || fail "the repository has no lifecycle rule."
fi

# SageMaker runs amd64 and refuses an image index, which attestations would make of the image.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1
run docker build --platform linux/amd64 --build-arg "TORCH_INDEX_URL=$torch_index_url" \
  --tag "$image:$tag" --tag "$image:latest" . || fail "the build failed."
run log_in || fail "docker could not log in to $registry."
run docker push "$image:$tag" || fail "$image:$tag was not pushed."
run docker push "$image:latest" || fail "$image:latest was not pushed."

printf '%s\n' "$image:$tag"
