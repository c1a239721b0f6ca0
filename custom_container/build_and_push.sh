#!/usr/bin/env bash
# Builds the image for SageMaker and pushes it to Amazon ECR, whose repository it creates if need
# be. stdout is the image's URI, which is also written into .env; all else is told on stderr.
set -euo pipefail

called_in=$PWD
cd "$(dirname "$0")"
repository='' region='' base_image='' torch_index_url='' env_file=$PWD/../.env dry_run=false
credentials_read=''

usage() {
  cat >&2 <<'USAGE'
Usage: build_and_push.sh [OPTION]…

  --repository NAME      ECR repository      [ECR_REPOSITORY, modernbert-dispute-classifier]
  --region REGION        its region          [AWS_REGION, then the AWS CLI's own]
  --base-image IMAGE     what to build on    [BASE_IMAGE, an image that brings torch with CUDA 12]
  --torch-index-url URL  torch's wheels, where the base image brings no torch    [TORCH_INDEX_URL]
  --env-file FILE        read for variables that the environment lacks; gets CONTAINER_IMAGE [.env]
  --dry-run              print the commands that change something instead of running them;
                         a shell takes them as they are printed

A smaller image, for CPU instances only: --base-image python:3.11-slim-bookworm, and as
--torch-index-url the index of torch's CPU wheels.
USAGE
}

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "Cannot build and push the image: $*"
  exit 1
}

usage_error() {
  usage
  say "$*"
  exit 2
}

while (($#)); do
  case $1 in
    --repository | --region | --base-image | --torch-index-url | --env-file)
      [[ -n ${2:-} && $2 != --* ]] || usage_error "$1 needs a value."
      option=${1#--}
      printf -v "${option//-/_}" '%s' "$2"
      shift 2
      ;;
    --dry-run) dry_run=true; shift ;;
    --help) usage; exit 0 ;;
    *) usage_error "Unknown option: $1" ;;
  esac
done

# Words as one command that a shell reads as these words.
command_of() {
  local words
  printf -v words '%q ' "$@"
  printf '%s' "${words% }"
}

# A line of shell is told and run, or told only; so what a dry run prints is what another one runs.
# What a command prints is story, too, and goes to stderr: only the URI is the answer.
run() {
  say "$1"
  "$dry_run" || eval "$1"
}

# What a dry run tells beside the commands, which can be given to a shell as they are printed.
remark() { ! "$dry_run" || say "# $*"; }

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

# The tag names the content: the same files on the same base give the same tag.
content_tag() {
  {
    printf '%s\n' "$base_image" "$torch_index_url"
    printf '%s\n' Dockerfile requirements.txt ./*.py src/*.py |
      LC_ALL=C sort | while IFS= read -r file; do printf '%s\n' "$file"; cat "$file"; done
  } | sha256 | cut -c 1-12
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

# ECR's own rule, which it would tell only when everything is built.
is_repository_name() {
  local LC_ALL=C word='[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*'
  ((${#1} >= 2 && ${#1} <= 256)) && [[ $1 =~ ^$word(/$word)*$ ]]
}

# The value of a line of the file, as the scripts read it: in quotes, or up to a remark.
env_value() {
  local value=${1%$'\r'}
  case $value in
    \"*) value=${value#\"} value=${value%%\"*} ;;
    \'*) value=${value#\'} value=${value%%\'*} ;;
    *) value=${value%%[[:blank:]]\#*} value=${value%"${value##*[![:blank:]]}"} ;;
  esac
  printf '%s' "$value"
}

# What stands before a variable's value in the file, as an extended regular expression.
assignment_of() { printf '^[[:blank:]]*(export[[:blank:]]+)?%s[[:blank:]]*=[[:blank:]]*' "$1"; }

# The environment beats the file.
read_env_file() {
  local name value
  [[ -f $env_file ]] || return 0
  for name in ECR_REPOSITORY BASE_IMAGE TORCH_INDEX_URL AWS_REGION AWS_PROFILE \
    AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN; do
    value=$(sed -nE "s/$(assignment_of "$name")//p" "$env_file" | tail -n 1) ||
      fail "$env_file cannot be read."
    value=$(env_value "$value")
    [[ -z ${!name:-} && -n $value ]] || continue
    export "$name=$value"
    case $name in AWS_PROFILE | AWS_*KEY* | AWS_SESSION_TOKEN) credentials_read+=" $name" ;; esac
  done
}

# Every other line stays as it is, and the file as it was stays beside it. Lines end as the first one.
write_env_file() {
  local LC_ALL=C assignment end=''
  assignment=$(assignment_of CONTAINER_IMAGE)
  touch "$env_file" && cp -p "$env_file" "$env_file.bak" || return
  if grep -qE "$assignment" "$env_file.bak"; then
    sed -E "s|${assignment}[^"$'\r'"]*|\1CONTAINER_IMAGE=$1|" "$env_file.bak" >"$env_file"
    return
  fi
  [[ $(head -n 1 "$env_file.bak") != *$'\r' ]] || end=$'\r'
  if [[ -n $(tail -c 1 "$env_file.bak") ]]; then printf '%s\n' "$end" >>"$env_file"; fi
  printf '%s\n' "CONTAINER_IMAGE=$1$end" >>"$env_file"
}

# Images without a tag are what another build of the same content leaves behind.
lifecycle_policy='{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "untagged",'\
' "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14},'\
' "action": {"type": "expire"}}]}'

[[ $env_file == /* ]] || env_file=$called_in/$env_file
read_env_file
repository=${repository:-${ECR_REPOSITORY:-modernbert-dispute-classifier}}
region=${region:-${AWS_REGION:-}}
base_image=${base_image:-${BASE_IMAGE:-}}
torch_index_url=${torch_index_url:-${TORCH_INDEX_URL:-}}
is_repository_name "$repository" ||
  usage_error "--repository or ECR_REPOSITORY is '$repository', which ECR takes for no name: 2 to" \
    "256 small letters and digits, with '.', '_', '__', '-' or '/' between them."

for tool in docker aws; do
  command -v "$tool" >/dev/null || fail "there is no '$tool' command. Install it first."
done
docker info >/dev/null 2>&1 || fail "docker does not answer. Start it, or ask for access to it."
region=${region:-$(aws configure get region || true)}
[[ -n $region ]] || fail "no region. Set AWS_REGION or pass --region."
account=$(aws sts get-caller-identity --region "$region" --query Account --output text) ||
  fail "AWS knows no such credentials, or no region '$region'. Check both with" \
    "'aws sts get-caller-identity --region $region'."

case $region in
  cn-*) domain=amazonaws.com.cn ;;
  eusc-*) domain=amazonaws.eu ;;
  *) domain=amazonaws.com ;;
esac
registry=$account.dkr.ecr.$region.$domain
image=$registry/$repository
tag=$(content_tag)

[[ -z $credentials_read ]] ||
  remark "By hand, these commands need$credentials_read of $env_file in the environment."
if ! repository_exists; then
  run "$(command_of aws ecr create-repository --region "$region" --repository-name "$repository" \
    --image-scanning-configuration scanOnPush=true)" >&2 ||
    fail "the repository was not created."
  run "$(command_of aws ecr put-lifecycle-policy --region "$region" \
    --repository-name "$repository" --lifecycle-policy-text "$lifecycle_policy")" >&2 ||
    fail "the repository was made without its lifecycle rule. Delete it, and start again."
fi

# Attestations would make an index of the image.
build=(env BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build --platform linux/amd64)
build+=(--tag "$image:$tag" --tag "$image:latest")
[[ -z $base_image ]] || build+=(--build-arg "BASE_IMAGE=$base_image")
case $torch_index_url in
  '') ;;
  *://*@*)
    export TORCH_INDEX_URL=$torch_index_url
    build+=(--build-arg TORCH_INDEX_URL)
    remark "docker reads TORCH_INDEX_URL, which holds a password, from the environment."
    ;;
  *) build+=(--build-arg "TORCH_INDEX_URL=$torch_index_url") ;;
esac
# buildx is told to write Docker's format, and where 'docker push' finds it; a docker without buildx
# does both by itself.
if docker buildx version >/dev/null 2>&1; then build+=(--load); fi
run "$(command_of "${build[@]}" "$PWD")" >&2 || fail "the build failed."
run "$(command_of aws ecr get-login-password --region "$region") | $(command_of docker login \
  --username AWS --password-stdin "$registry")" >&2 || fail "docker could not log in to $registry."
for pushed in "$image:$tag" "$image:latest"; do
  run "$(command_of docker push "$pushed")" >&2 || fail "$pushed was not pushed."
done

# SageMaker runs images of Docker's own format only: neither OCI's, nor an index of several.
remark "SageMaker takes the image only if ECR names neither OCI nor a list as its format:"
format=$(run "$(command_of aws ecr describe-images --region "$region" \
  --repository-name "$repository" --image-ids "imageTag=$tag" \
  --query 'imageDetails[0].imageManifestMediaType' --output text)") ||
  say "ECR did not tell the image's format, which is not checked therefore."
[[ $format != *oci* && $format != *list* ]] ||
  fail "SageMaker refuses the format of $image:$tag, which was pushed." \
    "Switch docker's containerd image store off, and start again."

remark "CONTAINER_IMAGE=$image:$tag would then be written into $env_file."
"$dry_run" || write_env_file "$image:$tag" ||
  fail "$env_file was not written. Set CONTAINER_IMAGE=$image:$tag there."

printf '%s\n' "$image:$tag"
