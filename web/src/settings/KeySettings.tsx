import { CheckOutlined, CopyOutlined, PlusOutlined } from "@ant-design/icons";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Alert, Button, Empty, Form, Input, Modal, Select, Tag } from "antd";
import { useState } from "react";
import { createKey, revokeKey } from "../api/console";
import { keys as queryKeys, useKeys } from "../api/queries";
import type { Key, NewKey } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import { useCopy } from "../lib/useCopy";
import entries from "../look/Entries.module.css";
import { Loaded } from "../look/Loaded";
import { useConfirm } from "../look/useConfirm";
import styles from "./Settings.module.css";

export function KeySettings() {
  const texts = useTexts();
  const list = useKeys();
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<NewKey | null>(null);
  return (
    <section>
      <div className={styles.lead}>
        <div>
          <p>{texts.settings.keysLead}</p>
          <p className={styles.quiet}>
            {texts.settings.baseUrl} <code className={styles.code}>{`${window.location.origin}/v1`}</code>
          </p>
        </div>
        <Button type="primary" icon={<PlusOutlined aria-hidden />} onClick={() => setMaking(true)}>
          {texts.settings.newKey}
        </Button>
      </div>
      <Loaded query={list}>
        {(keys) =>
          keys.length === 0 ? (
            <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={texts.settings.noKeys} />
          ) : (
            <ul className={entries.list}>
              {keys.map((key) => (
                <Entry key={key.id} apiKey={key} />
              ))}
            </ul>
          )
        }
      </Loaded>
      {making && (
        <MakeKey
          onClose={() => setMaking(false)}
          onMade={(key) => {
            setMaking(false);
            setMade(key);
          }}
        />
      )}
      {made && <ShowOnce secret={made.key} onClose={() => setMade(null)} />}
    </section>
  );
}

function Entry({ apiKey }: { apiKey: Key }) {
  const texts = useTexts();
  const { date } = useFormats();
  const confirm = useConfirm();
  const client = useQueryClient();
  const expired = apiKey.expires_at !== null && new Date(apiKey.expires_at) < new Date();
  const revoke = () =>
    confirm({
      title: texts.settings.revokeTitle(apiKey.name),
      text: texts.settings.revokeText,
      label: texts.settings.revoke,
      danger: true,
      action: () =>
        revokeKey(apiKey.id).finally(() => client.invalidateQueries({ queryKey: queryKeys.apiKeys })),
    });
  const about = [
    `${texts.settings.created} ${date(apiKey.created_at)}`,
    `${texts.settings.expires} ${apiKey.expires_at ? date(apiKey.expires_at) : texts.settings.never}`,
    `${texts.settings.lastUsed} ${apiKey.last_used_at ? date(apiKey.last_used_at) : texts.settings.notUsed}`,
  ];
  return (
    <li className={entries.entry}>
      <div className={entries.main}>
        <div className={entries.name}>
          {apiKey.name}
          <code className={styles.code}>{apiKey.prefix}…</code>
          {expired && <Tag>{texts.settings.expired}</Tag>}
        </div>
        <div className={entries.about}>{about.join(" · ")}</div>
      </div>
      <Button size="small" danger onClick={revoke} aria-label={texts.settings.revokeTitle(apiKey.name)}>
        {texts.settings.revoke}
      </Button>
    </li>
  );
}

interface Fields {
  name: string;
  days: number;
}

/** 0 stands for a key that never expires; a Select has no null. */
const NEVER = 0;
const LIFETIMES = [30, 90, 365, NEVER];

function MakeKey({ onClose, onMade }: { onClose: () => void; onMade: (key: NewKey) => void }) {
  const texts = useTexts();
  const client = useQueryClient();
  const [form] = Form.useForm<Fields>();
  const mutation = useMutation({
    mutationFn: ({ name, days }: Fields) => createKey(name.trim(), days === NEVER ? null : days),
    onSuccess: (key) => {
      onMade(key);
      void client.invalidateQueries({ queryKey: queryKeys.apiKeys });
    },
  });
  return (
    <Modal
      open
      title={texts.settings.newKey}
      okText={texts.settings.newKey}
      cancelText={texts.common.cancel}
      confirmLoading={mutation.isPending}
      onOk={form.submit}
      onCancel={onClose}
    >
      <Form<Fields>
        form={form}
        layout="vertical"
        requiredMark={false}
        initialValues={{ days: 90 }}
        onFinish={(fields) => mutation.mutate(fields)}
      >
        {mutation.error && (
          <Form.Item>
            <Alert type="error" role="alert" title={errorText(texts, mutation.error)} />
          </Form.Item>
        )}
        <Form.Item
          name="name"
          label={texts.settings.keyName}
          rules={[{ required: true, whitespace: true, message: texts.common.required }]}
        >
          <Input autoFocus maxLength={100} placeholder={texts.settings.keyNamePlaceholder} />
        </Form.Item>
        <Form.Item name="days" label={texts.settings.expires}>
          <Select
            options={LIFETIMES.map((days) => ({
              value: days,
              label: days === NEVER ? texts.settings.never : texts.settings.days(days),
            }))}
          />
        </Form.Item>
      </Form>
    </Modal>
  );
}

/** The only time that a key is seen: closed by its button alone, not by a slip of the hand. */
function ShowOnce({ secret, onClose }: { secret: string; onClose: () => void }) {
  const texts = useTexts();
  const { copied, copy } = useCopy();
  return (
    <Modal
      open
      title={texts.settings.yourKey}
      closable={false}
      keyboard={false}
      mask={{ closable: false }}
      footer={
        <Button type="primary" onClick={onClose}>
          {texts.settings.keyOnceDone}
        </Button>
      }
    >
      <Alert type="warning" title={texts.settings.keyOnce} />
      <div className={styles.secret}>
        <Input
          readOnly
          className={styles.code}
          value={secret}
          aria-label={texts.settings.yourKey}
          onFocus={(event) => event.target.select()}
        />
        <Button
          icon={copied ? <CheckOutlined aria-hidden /> : <CopyOutlined aria-hidden />}
          onClick={() => copy(secret)}
        >
          {copied ? texts.common.copied : texts.common.copy}
        </Button>
      </div>
    </Modal>
  );
}
