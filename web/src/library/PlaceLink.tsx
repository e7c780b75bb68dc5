import type { MouseEvent, ReactNode } from "react";

interface PlaceLinkProps {
  address: string;
  className?: string | undefined;
  label?: string;
  onOpen: (address: string) => void;
  children: ReactNode;
}

/** A link to a place in a document. A plain click shows it here; with Ctrl, or the middle button, it is a tab's. */
export function PlaceLink({ address, className, label, onOpen, children }: PlaceLinkProps) {
  const onClick = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    onOpen(address);
  };
  return (
    <a href={address} className={className} aria-label={label} onClick={onClick}>
      {children}
    </a>
  );
}
