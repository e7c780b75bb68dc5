import { DislikeFilled, DislikeOutlined, LikeFilled, LikeOutlined } from "@ant-design/icons";
import type { Said } from "../api/feedback";
import type { Rating } from "../api/types";
import { useTexts } from "../i18n";
import { IconButton } from "../look/IconButton";

/** Up or down; one of them may be pressed. */
export function Thumbs({ said, onPress }: { said: Said; onPress: (rating: Rating) => void }) {
  const texts = useTexts();
  const up = said.rating === 1;
  const down = said.rating === -1;
  return (
    <>
      <IconButton
        icon={up ? <LikeFilled aria-hidden /> : <LikeOutlined aria-hidden />}
        label={texts.feedback.up}
        pressed={up}
        onClick={() => onPress(1)}
      />
      <IconButton
        icon={down ? <DislikeFilled aria-hidden /> : <DislikeOutlined aria-hidden />}
        label={texts.feedback.down}
        pressed={down}
        onClick={() => onPress(-1)}
      />
    </>
  );
}
