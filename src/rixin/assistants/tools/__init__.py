"""What an assistant can do besides speaking: tools, the loop that calls them, and the record of every call."""

from rixin.assistants.tools.audit import ToolAudit, ToolCallRecord
from rixin.assistants.tools.builtin import Calculator, LibrarySearch, Python
from rixin.assistants.tools.choosing import choosing
from rixin.assistants.tools.dates import Dates
from rixin.assistants.tools.fence import DATA_RULE, fence, neutral
from rixin.assistants.tools.running import Ask, Asked, Called, Limits, ToolEvent, refuse, run_tools
from rixin.assistants.tools.tables import TableQuery
from rixin.assistants.tools.tool import Search, Sheet, Tool, ToolContext, ToolResult
from rixin.assistants.tools.toolbox import BUILT_IN, Toolbox

__all__ = [
    "BUILT_IN",
    "DATA_RULE",
    "Ask",
    "Asked",
    "Calculator",
    "Called",
    "Dates",
    "LibrarySearch",
    "Limits",
    "Python",
    "Search",
    "Sheet",
    "TableQuery",
    "Tool",
    "ToolAudit",
    "ToolCallRecord",
    "ToolContext",
    "ToolEvent",
    "ToolResult",
    "Toolbox",
    "choosing",
    "fence",
    "neutral",
    "refuse",
    "run_tools",
]
