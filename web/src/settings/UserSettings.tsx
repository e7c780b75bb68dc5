import { MoreOutlined, PlusOutlined } from "@ant-design/icons";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Alert, App, Button, Dropdown, Form, Input, type MenuProps, Modal, Select, Tag } from "antd";
import { useState } from "react";
import { changeUser, createUser, deleteUser } from "../api/console";
import { keys, useUsers } from "../api/queries";
import type { Role, User } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import { PASSWORD_LEAST } from "../lib/password";
import entries from "../look/Entries.module.css";
import { Loaded } from "../look/Loaded";
import { useConfirm } from "../look/useConfirm";
import { useSignedIn } from "../session/SignedIn";
import styles from "./Settings.module.css";

/** The people of this server; administrators only. */
export function UserSettings() {
  const texts = useTexts();
  const list = useUsers();
  const [adding, setAdding] = useState(false);
  const [resetting, setResetting] = useState<User | null>(null);
  return (
    <section>
      <div className={styles.lead}>
        <span />
        <Button type="primary" icon={<PlusOutlined aria-hidden />} onClick={() => setAdding(true)}>
          {texts.settings.addUser}
        </Button>
      </div>
      <Loaded query={list}>
        {(users) => (
          <ul className={entries.list}>
            {users.map((user) => (
              <Entry key={user.id} user={user} onReset={() => setResetting(user)} />
            ))}
          </ul>
        )}
      </Loaded>
      {adding && <AddUser onClose={() => setAdding(false)} />}
      {resetting && <ResetPassword user={resetting} onClose={() => setResetting(null)} />}
    </section>
  );
}

function Entry({ user, onReset }: { user: User; onReset: () => void }) {
  const texts = useTexts();
  const { date } = useFormats();
  const { user: self } = useSignedIn();
  const { message } = App.useApp();
  const confirm = useConfirm();
  const client = useQueryClient();
  const own = user.id === self.id;

  const attempt = async (action: Promise<unknown>) => {
    try {
      await action;
    } catch (error) {
      message.error(errorText(texts, error));
    }
    await client.invalidateQueries({ queryKey: keys.users });
  };
  const remove = () =>
    confirm({
      title: texts.settings.deleteUser(user.name),
      text: texts.settings.deleteUserText,
      label: texts.common.remove,
      danger: true,
      action: () => deleteUser(user.id).finally(() => client.invalidateQueries({ queryKey: keys.users })),
    });
  const items: MenuProps["items"] = [
    { key: "reset", label: texts.settings.resetPassword },
    { key: "disabled", label: user.disabled ? texts.settings.enable : texts.settings.disable },
    { type: "divider" },
    { key: "remove", label: texts.common.remove, danger: true },
  ];
  const onClick: MenuProps["onClick"] = ({ key }) => {
    if (key === "reset") onReset();
    else if (key === "disabled") void attempt(changeUser(user.id, { disabled: !user.disabled }));
    else remove();
  };
  return (
    <li className={entries.entry}>
      <div className={entries.main}>
        <div className={entries.name}>
          {user.name}
          {own && <span className={styles.quiet}>({texts.settings.you})</span>}
          {user.disabled && <Tag>{texts.settings.disabled}</Tag>}
        </div>
        <div className={entries.about}>{`${texts.settings.created} ${date(user.created_at)}`}</div>
      </div>
      <Select<Role>
        size="small"
        value={user.role}
        disabled={own}
        aria-label={texts.settings.role}
        popupMatchSelectWidth={false}
        onChange={(role) => attempt(changeUser(user.id, { role }))}
        options={[
          { value: "member", label: texts.settings.member },
          { value: "admin", label: texts.settings.admin },
        ]}
      />
      <Dropdown trigger={["click"]} placement="bottomRight" menu={{ items, onClick }} disabled={own}>
        <Button
          type="text"
          size="small"
          icon={<MoreOutlined aria-hidden />}
          aria-label={texts.settings.userActions(user.name)}
        />
      </Dropdown>
    </li>
  );
}

interface Fields {
  name: string;
  password: string;
  role: Role;
}

function AddUser({ onClose }: { onClose: () => void }) {
  const texts = useTexts();
  const { message } = App.useApp();
  const client = useQueryClient();
  const [form] = Form.useForm<Fields>();
  const mutation = useMutation({
    mutationFn: ({ name, password, role }: Fields) => createUser(name, password, role),
    onSuccess: (user) => {
      message.success(texts.settings.userAdded(user.name));
      void client.invalidateQueries({ queryKey: keys.users });
      onClose();
    },
  });
  return (
    <Modal
      open
      title={texts.settings.addUser}
      okText={texts.settings.addUser}
      cancelText={texts.common.cancel}
      confirmLoading={mutation.isPending}
      onOk={form.submit}
      onCancel={onClose}
    >
      <Form<Fields>
        form={form}
        layout="vertical"
        requiredMark={false}
        initialValues={{ role: "member" }}
        onFinish={(fields) => mutation.mutate(fields)}
      >
        {mutation.error && (
          <Form.Item>
            <Alert type="error" role="alert" title={errorText(texts, mutation.error)} />
          </Form.Item>
        )}
        <Form.Item
          name="name"
          label={texts.account.name}
          rules={[{ required: true, whitespace: true, message: texts.common.required }]}
        >
          <Input autoFocus maxLength={64} autoComplete="off" />
        </Form.Item>
        <NewPassword />
        <Form.Item name="role" label={texts.settings.role}>
          <Select
            options={[
              { value: "member", label: texts.settings.member },
              { value: "admin", label: texts.settings.admin },
            ]}
          />
        </Form.Item>
      </Form>
    </Modal>
  );
}

function ResetPassword({ user, onClose }: { user: User; onClose: () => void }) {
  const texts = useTexts();
  const { message } = App.useApp();
  const [form] = Form.useForm<{ password: string }>();
  const mutation = useMutation({
    mutationFn: ({ password }: { password: string }) => changeUser(user.id, { password }),
    onSuccess: () => {
      message.success(texts.settings.changed);
      onClose();
    },
  });
  return (
    <Modal
      open
      title={`${texts.settings.resetPassword} · ${user.name}`}
      okText={texts.common.save}
      cancelText={texts.common.cancel}
      confirmLoading={mutation.isPending}
      onOk={form.submit}
      onCancel={onClose}
    >
      <Form form={form} layout="vertical" requiredMark={false} onFinish={(fields) => mutation.mutate(fields)}>
        {mutation.error && (
          <Form.Item>
            <Alert type="error" role="alert" title={errorText(texts, mutation.error)} />
          </Form.Item>
        )}
        <NewPassword />
      </Form>
    </Modal>
  );
}

function NewPassword() {
  const texts = useTexts();
  return (
    <Form.Item
      name="password"
      label={texts.account.password}
      rules={[{ required: true, min: PASSWORD_LEAST, message: texts.account.tooShort(PASSWORD_LEAST) }]}
    >
      <Input.Password autoComplete="new-password" />
    </Form.Item>
  );
}
