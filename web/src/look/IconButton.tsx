import { Button, Tooltip } from "antd";
import type { ReactNode } from "react";

interface IconButtonProps {
  icon: ReactNode;
  label: string;
  disabled?: boolean;
  /** For a button that stays in or out. */
  pressed?: boolean;
  onClick: () => void;
}

/** A small quiet button whose picture is explained on hover and to screen readers. */
export function IconButton({ icon, label, disabled = false, pressed, onClick }: IconButtonProps) {
  return (
    <Tooltip title={label} mouseEnterDelay={0.4}>
      <Button
        type="text"
        size="small"
        icon={icon}
        aria-label={label}
        aria-pressed={pressed}
        disabled={disabled}
        onClick={onClick}
      />
    </Tooltip>
  );
}
