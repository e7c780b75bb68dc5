import { type RefObject, useCallback, useEffect, useRef, useState } from "react";

/** This close to the end counts as being at the end. */
const NEAR_PX = 48;
/** This far from it, the way back is offered. */
const FAR_PX = 240;

interface Sticking {
  readonly scroller: RefObject<HTMLDivElement | null>;
  readonly content: RefObject<HTMLDivElement | null>;
  /** Whether the end is well out of sight. */
  readonly far: boolean;
  /** Go to the end and stay there. */
  readonly stick: () => void;
}

/**
 * Keeps the end in sight while text grows, until the reader scrolls up; from then on nothing moves under their eyes
 * until they come back to the end. `page` is what is shown: another page starts at its end.
 */
export function useStickToBottom(page: string | null): Sticking {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
  const [far, setFar] = useState(false);

  const stick = useCallback(() => {
    stuck.current = true;
    setFar(false);
    if (scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another page has other elements to watch
  useEffect(() => {
    const box = scroller.current;
    const inner = content.current;
    if (box === null || inner === null) return;
    stick();
    let lastTop = box.scrollTop;
    let lastHeight = box.scrollHeight;
    const onScroll = () => {
      const distance = box.scrollHeight - box.scrollTop - box.clientHeight;
      // Shorter content also moves the view up; that is not the reader's doing.
      if (box.scrollTop < lastTop - 1 && box.scrollHeight >= lastHeight) stuck.current = false;
      if (distance < NEAR_PX && box.scrollTop >= lastTop) stuck.current = true;
      lastTop = box.scrollTop;
      lastHeight = box.scrollHeight;
      setFar(!stuck.current && distance > FAR_PX);
    };
    const observer = new ResizeObserver(() => {
      if (stuck.current) box.scrollTop = box.scrollHeight;
      // What moved with the content must not look like the reader's doing in the scroll event that follows.
      lastTop = box.scrollTop;
      lastHeight = box.scrollHeight;
    });
    box.addEventListener("scroll", onScroll, { passive: true });
    observer.observe(inner);
    observer.observe(box);
    return () => {
      box.removeEventListener("scroll", onScroll);
      observer.disconnect();
    };
  }, [page, stick]);

  return { scroller, content, far, stick };
}
