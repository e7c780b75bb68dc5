"""The models a person can choose, and how each one is."""

from fastapi import APIRouter

router = APIRouter(tags=["models"])
