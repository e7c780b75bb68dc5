import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Alert, Form, Input, Modal, Radio, Select } from "antd";
import { changeLibrary, createLibrary, libraryKeys } from "../api/libraries";
import { useUsers } from "../api/queries";
import type { Library } from "../api/types";
import { useTexts } from "../i18n";
import { errorText } from "../lib/errorText";

interface Fields {
  name: string;
  title: string;
  everyone: boolean;
  readers: string[];
}

interface LibraryFormProps {
  /** The one to change, or null to make one. */
  library: Library | null;
  onClose: () => void;
  onSaved: (library: Library) => void;
}

const NAME = /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,63}$/u;

/** Name, title and rights of a Library; for those who may change it. */
export function LibraryForm({ library, onClose, onSaved }: LibraryFormProps) {
  const texts = useTexts();
  const client = useQueryClient();
  const users = useUsers();
  const [form] = Form.useForm<Fields>();
  const everyone = Form.useWatch("everyone", form) ?? library?.everyone ?? true;
  const mutation = useMutation({
    mutationFn: ({ name, title, readers }: Fields) =>
      library === null
        ? createLibrary({ name, title: title.trim(), everyone, readers: readers ?? [] })
        : changeLibrary(library.name, { title: title.trim(), everyone, readers: readers ?? library.readers }),
    onSuccess: async (saved) => {
      await client.invalidateQueries({ queryKey: libraryKeys.all });
      onSaved(saved);
    },
  });
  const label = library === null ? texts.library.add : texts.common.save;
  return (
    <Modal
      open
      title={library === null ? texts.library.add : texts.library.settings}
      okText={label}
      cancelText={texts.common.cancel}
      confirmLoading={mutation.isPending}
      onOk={form.submit}
      onCancel={onClose}
    >
      <Form<Fields>
        form={form}
        layout="vertical"
        requiredMark={false}
        initialValues={{
          title: library?.title ?? "",
          everyone: library?.everyone ?? true,
          readers: library?.readers ?? [],
        }}
        onFinish={(fields) => mutation.mutate(fields)}
      >
        {mutation.error && (
          <Form.Item>
            <Alert type="error" role="alert" title={errorText(texts, mutation.error)} />
          </Form.Item>
        )}
        <Form.Item
          name="title"
          label={texts.library.titleLabel}
          rules={[{ required: true, whitespace: true, message: texts.common.required }]}
        >
          <Input autoFocus maxLength={200} placeholder={texts.library.titlePlaceholder} />
        </Form.Item>
        {library === null && (
          <Form.Item
            name="name"
            label={texts.library.name}
            extra={texts.library.nameHint}
            rules={[
              { required: true, message: texts.common.required },
              { pattern: NAME, message: texts.library.badName },
            ]}
          >
            <Input maxLength={64} autoComplete="off" spellCheck={false} />
          </Form.Item>
        )}
        <Form.Item name="everyone" label={texts.library.rights}>
          <Radio.Group
            options={[
              { value: true, label: texts.library.everyone },
              { value: false, label: texts.library.people },
            ]}
          />
        </Form.Item>
        {!everyone && (
          <Form.Item name="readers" label={texts.library.peopleLabel} extra={texts.library.peopleHint}>
            <Select
              mode="multiple"
              loading={users.data === undefined}
              placeholder={texts.library.nobody}
              showSearch={{ optionFilterProp: "label" }}
              options={(users.data ?? [])
                .filter(({ role }) => role !== "admin")
                .map(({ id, name }) => ({ value: id, label: name }))}
            />
          </Form.Item>
        )}
      </Form>
    </Modal>
  );
}
