/** The shortest password the server takes. */
export const PASSWORD_LEAST = 8;
