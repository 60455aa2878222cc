"""What a field's name says of it: a server, a key, another model, how much is made, what it costs.

Names are read by the words that they are made of, however they are written, and by lists; so one
that nobody has thought of is understood, too. Values are not looked at here.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = [
    "costs_no_more",
    "joined",
    "names_a_model",
    "names_a_server",
    "says_how_long",
    "says_how_many",
    "words_of",
]


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS = _set(
    "url urls uri uris host hosts hostname server servers endpoint endpoints proxy proxies header "
    "headers authorization authentication credential credentials password passwd secret secrets "
    "webhook webhooks callback callbacks cookie cookies organization organisation socket dns cert "
    "certificate ssl tls key keys litellm vertex aws azure bedrock sagemaker watsonx "
    "upstream upstreams gateway project domain"
)
_NAMES = _set(
    "apibase apitype apiversion auth bearer token org project engine deployment deploymentid "
    "region regionname address domain ip port client httpclient transport baseurl extrabody "
    "extraquery extraheaders provider providers customllmprovider modellist models "
    "fallback fallbacks fallbackmodels contextwindowfallbacks contentpolicyfallbacks route router "
    "plugins transforms guardrails cache caching kwargs userconfig mockresponse timeout "
    "requesttimeout numretries maxretries loggerfn base ipaddress"
)
_PARTS = (
    "apikey", "apibase", "baseurl", "endpoint", "authoriz", "credential", "password", "webhook",
    "hostname", "httpproxy", "httpsproxy", "secretkey", "accesskey",
)  # fmt: skip
_TOKENS = _set("access auth api bearer session refresh security ad hf github oauth")
_INNOCENT = _set("promptcachekey searchdomainfilter domainfilter")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_LONGEST = 256


@lru_cache(maxsize=4096)
def words_of(name: str) -> frozenset[str]:
    """The words of a name, in small letters.

    >>> sorted(words_of("maxNew_TOKENS"))
    ['max', 'new', 'tokens']
    """
    return frozenset(word.lower() for word in _WORD.findall(name[:_LONGEST]))


def joined(name: str) -> str:
    """A name without what stands between its words, so that all its ways of writing are one.

    >>> joined("max_tokens") == joined("maxTokens") == "maxtokens"
    True
    """
    return re.sub(r"[^a-z0-9]", "", name[:_LONGEST].lower())


@lru_cache(maxsize=4096)
def names_a_server(name: str) -> bool:
    """Whether a field of this name could say where a request goes, or with which key.

    >>> [names_a_server(name) for name in ("api_base", "openaiKey", "X-Auth-Token", "top_k")]
    [True, True, True, False]
    >>> [names_a_server(name) for name in ("stop_token_ids", "prompt_cache_key", "min_tokens")]
    [False, False, False]
    """
    whole = joined(name)
    if whole in _INNOCENT:
        return False
    words = words_of(name)
    if words & _WORDS or whole in _NAMES:
        return True
    if words & {"token", "tokens"} and words & _TOKENS:
        return True
    return any(part in whole for part in _PARTS)


_ADAPTERS = _set("lora loras adapter adapters checkpoint")
_OF_MODELS = _set(
    "model models name names id ids slug path uri version draft base target teacher assistant "
    "speculative override alias ref the llm chat language fallback requested engine use"
)
_MODELS = _set("engineid enginename deploymentname agentid")


@lru_cache(maxsize=4096)
def names_a_model(name: str) -> bool:
    """Whether a field of this name could say that another model answers.

    >>> [names_a_model(name) for name in ("modelName", "draft_model", "lora_path", "adapter_id")]
    [True, True, True, True]
    >>> names_a_model("model_identity")
    False
    """
    words = words_of(name)
    if words & _ADAPTERS or joined(name) in _MODELS:
        return True
    return bool(words & {"model", "models"}) and words <= _OF_MODELS


_COUNTS = _set(
    "n bestof numchoices nchoices numreturnsequences candidatecount numcompletions numbeams "
    "beamwidth usebeamsearch numgenerations samples"
)
_NUMBERS = _set("num number n count")
_MADE = _set(
    "choices choice samples sample sequences sequence candidates candidate completions completion "
    "generations generation outputs output responses response replies reply results result images "
    "beams answers"
)


@lru_cache(maxsize=4096)
def says_how_many(name: str) -> bool:
    """Whether a field of this name could say how many replies are made, each of which is paid.

    >>> [says_how_many(name) for name in ("best_of", "candidateCount", "sample_count", "n_probs")]
    [True, True, True, False]
    """
    words = words_of(name)
    return joined(name) in _COUNTS or bool(words & _NUMBERS and words & _MADE)


_LENGTHS = _set(
    "maxgenlen maxlength npredict numpredict maxlen maxoutput responselength outputlength "
    "replylength completionlength generationlength truncationlength generationconfig options "
    "maxtoken maxtokens"
)
_MOST = _set("max maximum limit most num n")
_LONG = _set("token tokens tok toks length len predict decode output")
_OF_OTHERS = _set("prompt input context ctx min truncate truncation logprobs ngram keep ids probs")


@lru_cache(maxsize=4096)
def says_how_long(name: str) -> bool:
    """Whether a field of this name could be a server's `max_tokens`.

    >>> [says_how_long(name) for name in ("max_new_tokens", "tokenLimit", "num_predict")]
    [True, True, True]
    >>> [says_how_long(name) for name in ("min_tokens", "length_penalty", "stop_token_ids")]
    [False, False, False]
    """
    words = words_of(name)
    if joined(name) in _LENGTHS:
        return True
    return bool(words & _MOST and words & _LONG) and not words & _OF_OTHERS


_CHEAP = _set(
    "topk minp topa typicalp typical tfsz tfs xtcprobability xtcthreshold dynatemprange "
    "dynatempexponent smoothingfactor smoothingcurve epsiloncutoff etacutoff nsigma topnsigma "
    "repetitionpenalty repeatpenalty repeatlastn penaltylastn penaltyrange lengthpenalty "
    "norepeatngramsize encoderrepetitionpenalty mirostat mirostattau mirostateta mirostatmode "
    "drymultiplier drybase dryallowedlength drypenaltylastn drysequencebreakers dosample "
    "randomseed seed sampler samplers samplerorder samplerpriority "
    "stoptokenids stopsequences stopwords stopregex includestopstrinoutput badwords badwordsids "
    "allowedtokenids bannedtokens suppresstokens minkeep nkeep "
    "guidedjson guidedregex guidedchoice guidedgrammar guideddecodingbackend "
    "guidedwhitespacepattern structuredoutputs grammar jsonschema regex ebnf format "
    "responseschema responsemimetype structuraltag schema "
    "chattemplatekwargs addgenerationprompt continuefinalmessage addspecialtokens "
    "skipspecialtokens spacesbetweenspecialtokens truncateprompttokens returntokenids "
    "returntokensastokenids cacheprompt cachesalt priority requestid safeprompt promptmode "
    "separatereasoning streamreasoning includereasoning reasoningformat reasoningsplit reasoning "
    "thinking enablethinking returnprogress timingspertoken userid sessionid conversationid"
)
_SPENT = _set("budget max tokens token limit")


def costs_no_more(name: str, inner: frozenset[str] = frozenset()) -> bool:
    """Whether a field that OpenAI's API does not have leaves a call as dear as its bound says.

    Args:
        name: the field's.
        inner: names in its value, where they say something.

    >>> [costs_no_more(name) for name in ("top_k", "minP", "enable_search", "thinking_budget")]
    [True, True, False, False]
    >>> costs_no_more("reasoning", frozenset({"max_tokens"}))
    False
    """
    whole = joined(name)
    if whole not in _CHEAP:
        return False
    if whole not in ("reasoning", "thinking"):
        return True
    return not any(words_of(one) & _SPENT for one in inner)
